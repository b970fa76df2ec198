#!/usr/bin/env node
import { launch } from './launch.js';

launch('../kubectl/complete-main.ts');
